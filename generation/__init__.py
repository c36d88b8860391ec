"""New images from the codes of existing ones: which are made, how, and how good they are."""
