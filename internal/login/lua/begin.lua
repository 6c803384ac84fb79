-- Every step begins with this: KEYS[1] is the ticket, ARGV[1] shifts the clock in
-- tests and is 0 otherwise. Times are milliseconds of this server's own clock.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[1]
local moved = 0

local function ms(x) return string.format('%.0f', x) end
local function get(f) return redis.call('HGET', KEYS[1], f) or '' end
-- A field that is no sensible number is 0: a script that fails on a broken ticket
-- would look like a server that is away.
local function num(f)
  local n = tonumber(redis.call('HGET', KEYS[1], f) or 0)
  if not n or n ~= n or n < 0 or n > 253402300799999 then return 0 end
  return n
end
local function set(...) redis.call('HSET', KEYS[1], ...) end
local function alive() return num('gone') > now end

-- live until the time of this server's clock, and no shorter than before
local function liveuntil(t)
  t = math.max(t, num('gone'))
  set('gone', ms(t))
  redis.call('PEXPIRE', KEYS[1], ms(t - now))
end

local function move(state, reason)
  set('st', state, 'why', reason)
  moved = 1
end

-- The time this takes tells nothing about where two strings differ.
local function same(a, b)
  if #a ~= #b then return false end
  local d = 0
  for i = 1, #a do d = bit.bor(d, bit.bxor(string.byte(a, i), string.byte(b, i))) end
  return d == 0
end

local function answer(outcome)
  local fields = alive() and redis.call('HGETALL', KEYS[1]) or {}
  return {outcome, ms(now), moved, fields}
end
