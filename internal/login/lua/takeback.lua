-- KEYS[1] lists revoked tokens by when they end. ARGV: 2 jti, 3 how long it is listed
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms(now))
redis.call('ZADD', KEYS[1], ms(now + ARGV[3]), ARGV[2])
redis.call('PEXPIRE', KEYS[1], ms(math.max(redis.call('PTTL', KEYS[1]), ARGV[3])))
return 1
