"""What fresh rows show of a function, in sentences and on a page."""
