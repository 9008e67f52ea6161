"""Label Studio: the JSON of a project, whole (JSON) or flat (JSON_MIN), in and out."""
