"""What worker processes run: the pool of threads for jobs, Celery's tasks, the scheduler."""
