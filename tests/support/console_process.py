"""`likeness serve` as a process, for tests."""

import re

from tests.support.running_service import ServiceProcess, eventually, service_settings

KEY = {"master_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}


class ConsoleProcess(ServiceProcess):
    """`likeness serve` as a process."""

    command = "serve"

    @property
    def address(self):
        """Where its pages are, as its log says."""
        (told,) = eventually(lambda: [one["message"] for one in self.messages() if "console is at" in one["message"]])
        return re.search(r"http://[^ ]+", told)[0]


def console_settings(broker, home, models, **tables):
    """Settings of a console on free ports; decisions are final at once unless `console` says otherwise."""
    web = {"host": "127.0.0.1", "port": 0} | tables.pop("web", {})
    tables["console"] = {"grace_seconds": 0} | tables.get("console", {})
    return service_settings(broker, home, models, keys=KEY, web=web, **tables)
