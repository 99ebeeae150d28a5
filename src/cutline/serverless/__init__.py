"""The captioner as a function of a cloud: an event names a new photo, its captions go to the service.

    python -m cutline.serverless        # on AWS Lambda; elsewhere an HTTP server for CloudEvents on $PORT

It reads the photo from the service's own store, captions it, and tells the service: by a signed call to
CUTLINE_PUBLIC_URL/callbacks/captions, or by a message to the SNS topic CUTLINE_CALLBACK_TOPIC. It keeps
nothing, and may see an event any number of times. Variables: the service's own (`function.Settings`).
"""
