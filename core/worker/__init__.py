"""One child process per job: `client` starts it, `child` is it, `messages` is what they say."""
