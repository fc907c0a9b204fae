// The canary of the queue node.
process.stdout.write('{"ok":true}');
