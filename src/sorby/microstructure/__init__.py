"""Numbers of metallography: arrays in, numbers out, in pixels; `sorby.measurement` turns them into micrometres."""
