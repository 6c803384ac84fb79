-- KEYS[1] as in takeback.lua. ARGV: 2 how many at most; those that end last come first
return redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', '(' .. ms(now), 'LIMIT', 0, ARGV[2])
