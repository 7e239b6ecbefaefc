"""What other programs read and write: generators and datasets in forms that are not Sorby's own."""
