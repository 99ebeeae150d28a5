"""Run the function: on AWS Lambda by its runtime, elsewhere as an HTTP server on $PORT."""

from __future__ import annotations

import logging
import os
import sys

from cutline.errors import CutlineError
from cutline.serverless.function import the_function


def main() -> int:
    """Load everything before the first event, then take events."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    try:
        function = the_function()
    except CutlineError as error:
        print(error, file=sys.stderr)  # noqa: T201  # Lambda's log, or the container's
        return 2
    if "AWS_LAMBDA_RUNTIME_API" in os.environ:
        from awslambdaric.__main__ import main as run

        from cutline.serverless.aws import HANDLER

        run(["cutline.serverless", HANDLER])
        return 0
    from cutline.serverless.cloud_events import serve

    serve(function, int(os.environ.get("PORT", "8080")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
