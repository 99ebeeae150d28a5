# prom/prometheus, with Debian's.
FROM cutline-test-servers
RUN install --directory --owner nobody --group nogroup /prometheus
USER nobody
VOLUME /prometheus
WORKDIR /prometheus
ENTRYPOINT ["prometheus"]
