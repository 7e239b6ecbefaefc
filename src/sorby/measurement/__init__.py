"""The metallography of whole sets of images, as tables; in micrometres where the pixel size is known."""
