"""What the pages for moderators are made of, apart from templates: evidence as words, faces brought to one size."""
