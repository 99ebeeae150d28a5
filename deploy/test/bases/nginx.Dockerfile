# nginx: the configuration of its image, with Debian's nginx.
FROM cutline-test-servers
RUN useradd --system --no-create-home nginx && rm -rf /etc/nginx/sites-enabled /etc/nginx/modules-enabled
COPY nginx.conf /etc/nginx/nginx.conf
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
