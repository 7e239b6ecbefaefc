"""Numbers of metallography: arrays in, numbers out, in pixels; `sorby.measure` turns them into micrometres."""
