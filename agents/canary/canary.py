# The canary of the queue python.
print('{"ok":true}')
