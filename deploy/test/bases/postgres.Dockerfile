# postgres: the variables and folders of its image, with Debian's PostgreSQL.
FROM cutline-test-servers
COPY postgres.sh /usr/local/bin/docker-entrypoint.sh
RUN usermod --uid 70 postgres && install --directory --owner 70 /var/lib/postgresql/data /docker-entrypoint-initdb.d
ENV PGDATA=/var/lib/postgresql/data PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
