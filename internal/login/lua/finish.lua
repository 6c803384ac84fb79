-- KEYS[1] is an event. ARGV: 2 reply, 3 how long it is remembered
redis.call('DEL', KEYS[1])
set('until', ms(now + ARGV[3]), 'done', '1', 'reply', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'done', ''}
