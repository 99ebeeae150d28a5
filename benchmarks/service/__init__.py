"""What the caption service adds to captioning: delivery, latency, throughput, long lists."""
