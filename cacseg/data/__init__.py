"""Where training and test images come from: digital patients (``phantom``) and labelled datasets (``readers``)."""
