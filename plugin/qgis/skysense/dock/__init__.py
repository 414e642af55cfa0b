"""The dock: area, dates, sensors and model to a map, without the Processing dialog."""
