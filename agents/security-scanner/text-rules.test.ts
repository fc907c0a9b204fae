import { describe, expect, it } from 'vitest';
import { sourceOf } from './source.ts';
import { checkText } from './text-rules.ts';

const typesIn = (path: string, text: string) => checkText(sourceOf(path, text)).map(({ type }) => type);

/** [file, rule, what it finds and what it leaves alone] */
const families: [string, string, { finds: string[]; leaves: string[] }][] = [
  [
    'a.py',
    'code-injection',
    { finds: ['eval(text)', 'exec(f"x = {y}")'], leaves: ['eval("1 + 1")', 'ast.literal_eval(text)', '# eval(text)', 'model.eval()'] },
  ],
  [
    'a.py',
    'unsafe-deserialization',
    {
      finds: ['pickle.loads(body)', 'yaml.load(stream)', 'yaml.load(stream, Loader=yaml.Loader)'],
      leaves: ['yaml.safe_load(stream)', 'yaml.load(stream, Loader=yaml.SafeLoader)', 'json.loads(body)'],
    },
  ],
  [
    'a.py',
    'command-injection',
    {
      finds: [
        'os.system("ls " + folder)',
        'os.popen(f"ls {folder}")',
        'subprocess.run(f"ls {folder}", shell=True)',
        'subprocess.check_output(\n    command,\n    cwd=root(),\n    shell=True,\n)',
      ],
      leaves: [
        'os.system("ls")',
        'subprocess.run(["ls", folder])',
        'subprocess.run("ls | wc -l", shell=True)',
        'subprocess.run(command, shell=False)',
      ],
    },
  ],
  [
    'a.py',
    'sql-injection',
    {
      finds: [
        `cursor.execute(f"SELECT * FROM users WHERE id = {id}")`,
        `query = f"DELETE FROM users WHERE name = '{name}'"`,
        `cursor.execute("SELECT * FROM users WHERE id = %s" % id)`,
        `cursor.execute("SELECT * FROM users WHERE id = " + id)`,
      ],
      leaves: [`cursor.execute("SELECT * FROM users WHERE id = %s", (id,))`, `query = f"SELECT {COLUMNS} FROM users"`],
    },
  ],
  [
    'a.py',
    'weak-crypto',
    {
      finds: ['hashlib.md5(data)', 'hashlib.new("sha1")', 'DES.new(key)'],
      leaves: ['hashlib.sha256(data)', 'hashlib.md5(data, usedforsecurity=False)'],
    },
  ],
  [
    'a.py',
    'tls-verification',
    { finds: ['requests.get(url, verify=False)', 'ssl._create_unverified_context()'], leaves: ['requests.get(url, verify=True)'] },
  ],
  [
    'a.py',
    'insecure-random',
    { finds: ['reset_token = str(random.randint(0, 9))'], leaves: ['delay = random.random()', 'token = secrets.token_hex()'] },
  ],
  ['a.php', 'code-injection', { finds: ['eval($code);'], leaves: ['eval("1");'] }],
  [
    'a.php',
    'command-injection',
    { finds: ['shell_exec("ls " . $folder);'], leaves: ['shell_exec("ls " . escapeshellarg($folder));', 'shell_exec("ls");'] },
  ],
  [
    'a.php',
    'unsafe-deserialization',
    { finds: ['unserialize($_COOKIE["x"]);'], leaves: ['unserialize($x, ["allowed_classes" => false]);'] },
  ],
  [
    'A.java',
    'sql-injection',
    {
      finds: ['query("SELECT * FROM users WHERE id = " + id);', `query("SELECT * FROM users WHERE name = '" + name + "'");`],
      leaves: ['prepare("SELECT * FROM users WHERE id = ?");'],
    },
  ],
  [
    'A.java',
    'weak-crypto',
    {
      finds: ['MessageDigest.getInstance("MD5")', 'Cipher.getInstance("AES/ECB/PKCS5Padding")'],
      leaves: ['MessageDigest.getInstance("SHA-256")', 'Cipher.getInstance("AES/GCM/NoPadding")'],
    },
  ],
  ['A.java', 'command-injection', { finds: ['Runtime.getRuntime().exec("ls " + folder);'], leaves: ['new ProcessBuilder("ls", folder);'] }],
  ['a.go', 'sql-injection', { finds: ['fmt.Sprintf("SELECT * FROM users WHERE id = %s", id)'], leaves: ['fmt.Sprintf("user %s", id)'] }],
  [
    'a.go',
    'command-injection',
    { finds: ['exec.Command("sh", "-c", line)'], leaves: ['exec.Command("ls", folder)', 'exec.Command("sh", "-c", "ls")'] },
  ],
  ['a.go', 'tls-verification', { finds: ['tls.Config{InsecureSkipVerify: true}'], leaves: ['tls.Config{}'] }],
  ['a.go', 'weak-crypto', { finds: ['md5.Sum(data)'], leaves: ['sha256.Sum256(data)'] }],
  ['a.rb', 'command-injection', { finds: ['system("ls #{folder}")'], leaves: ['system("ls", folder)'] }],
  ['a.rb', 'unsafe-deserialization', { finds: ['Marshal.load(body)'], leaves: ['JSON.parse(body)'] }],
  [
    'a.rb',
    'tls-verification',
    { finds: ['http.verify_mode = OpenSSL::SSL::VERIFY_NONE'], leaves: ['http.verify_mode = OpenSSL::SSL::VERIFY_PEER'] },
  ],
  ['a.vue', 'xss', { finds: ['<p v-html="text">'], leaves: ['<p v-html="sanitize(text)">', '<p>{{ text }}</p>'] }],
  ['run.sh', 'tls-verification', { finds: ['export NODE_TLS_REJECT_UNAUTHORIZED=0'], leaves: ['# NODE_TLS_REJECT_UNAUTHORIZED=0'] }],
];

describe.each(families)('checkText in %s for %s', (path, type, { finds, leaves }) => {
  it.each(finds)('finds %s', (text) => expect(typesIn(path, text)).toEqual([type]));
  it.each(leaves)('leaves %s alone', (text) => expect(typesIn(path, text)).toEqual([]));
});

it('passes over lines that nobody wrote, in time', () => {
  expect(typesIn('a.rb', `x = "${'select from #'.repeat(70_000)}"\nMarshal.load(body)`)).toEqual(['unsafe-deserialization']);
});

it('applies no rule of one language to another', () => expect(typesIn('a.rb', 'pickle.loads(body)')).toEqual([]));
