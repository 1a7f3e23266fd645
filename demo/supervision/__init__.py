"""Files for supervisors, generated from the Procfile: see `bin/units`."""
