# An application that reads its settings when a worker of Gunicorn starts.
import json

with open("/etc/app/settings.json") as file:
    settings = json.load(file)


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [settings["greeting"].encode() + b"\n"]
