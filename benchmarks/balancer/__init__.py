"""`balancer`: what it costs to have one port for many workers, beside HAProxy and stock Daphne."""
