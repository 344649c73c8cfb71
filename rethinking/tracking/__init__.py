"""What other programs are told of training, for whoever watches learning curves in theirs (`logger=…`)."""
