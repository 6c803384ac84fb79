-- KEYS[1] lists a person's tokens by when they end. ARGV: 2 how many at most; the
-- latest come first, each with the milliseconds that are left of it
local all = redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', '(' .. ms(now), 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 2, #all, 2 do all[i] = ms(all[i] - now) end
return all
