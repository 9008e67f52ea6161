"""What is done with files whatever is in them: staging and publishing, links, work in parallel."""
