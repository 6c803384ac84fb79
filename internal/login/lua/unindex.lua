-- KEYS[1] leads to the ticket a person claimed last. ARGV: 2... tickets that are dealt with
local last = redis.call('GET', KEYS[1])
for i = 2, #ARGV do
  if last == ARGV[i] then redis.call('DEL', KEYS[1]) end
end
return 1
