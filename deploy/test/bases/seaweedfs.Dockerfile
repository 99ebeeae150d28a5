# chrislusf/seaweedfs: takes the same words.
FROM cutline-test-servers
VOLUME /data
ENTRYPOINT ["weed", "-logtostderr=true"]
