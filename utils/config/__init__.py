"""From the text of a config to a checked one and to objects; it knows no data set or model."""
