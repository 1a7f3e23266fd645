"""Pictures of the running demo for docs/: its page, its admin, and the dashboards' panels.

`bin/screenshots` makes all of them anew, light and dark: it runs the demo with visitors, a real
Prometheus that scrapes it, and Chromium. Grafana is not needed: a panel's queries are asked of
Prometheus, and drawn here.
"""
