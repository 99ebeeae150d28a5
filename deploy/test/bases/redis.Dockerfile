# redis: the user and the folder of its image, with Debian's Redis.
FROM cutline-test-servers
RUN groupmod --gid 1000 redis && usermod --uid 999 redis && install --directory --owner 999 --group 1000 /data
VOLUME /data
WORKDIR /data
CMD ["redis-server"]
