if not alive() then return answer('unknown') end
if get('st') == 'done' then set('del', '1') end
return answer('known')
