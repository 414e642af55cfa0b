"""What needs no QGIS: finding and calling the command, reading what it says, making workflows."""
