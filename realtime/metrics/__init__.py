"""Figures for Prometheus, of all processes on this machine, from any of them.

`figures` is the table of what there is; `metric_sources` is what this process knows; `sampling`
writes it down each second; `slots` and `snapshots` are where; `exposition` is how Prometheus reads
it. Only that one needs the extra `metrics`.
"""
