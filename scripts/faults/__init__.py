"""`make faults`: what happens to a sweep when everything around it goes wrong."""
