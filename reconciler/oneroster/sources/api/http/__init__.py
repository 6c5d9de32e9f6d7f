"""Send requests to one API: retries, redirects within its host, deadlines, refusals of what is not an answer."""
