"""From raw microscope files to a dataset that can be trained on."""
