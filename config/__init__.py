"""Every setting of Likeness, read in one place: `load_settings()`."""

from config.settings import Settings, SettingsError, load_settings, packaged

__all__ = ["Settings", "SettingsError", "load_settings", "packaged"]
