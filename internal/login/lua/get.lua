if not alive() then return answer('unknown') end
return answer('known')
