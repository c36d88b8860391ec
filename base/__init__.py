"""What every data set, data loader, model and trainer is: the classes that others extend."""
