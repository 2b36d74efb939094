import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Server, type AuthContext, type Connection, type KeyboardAuthContext } from 'ssh2';
import { SshTransport } from '../../src/transport';
import { haveSshd } from '../support/sshd';
import { person, Rig, typed } from './rig';

/** An ssh2 server: what sshd does only with PAM. */
describe('questions to a person', function () {
  if (!haveSshd) return;
  this.timeout(30_000);
  const rig = new Rig();
  let number = 0;
  const open = new Set<Connection>();
  let hostKey = '';
  before(() => {
    hostKey = rig.key('question-host', '-t', 'ed25519', '-N', '');
  });
  after(() => rig.close());

  /** Starts a server that logs people in so; returns a name of the ssh config for it. */
  const host = async (check: (context: AuthContext) => void, lines = ''): Promise<string> => {
    const connections = new Set<Connection>();
    const server = new Server({ hostKeys: [readFileSync(hostKey)] }, (connection) => {
      connections.add(connection);
      open.add(connection);
      connection.on('error', () => undefined);
      connection.on('authentication', check);
      connection.on('session', (accept) => {
        accept().on('exec', (acceptExec) => {
          const channel = acceptExec();
          channel.write('in');
          channel.exit(0);
          channel.end();
        });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    rig.onClose(() => {
      for (const connection of connections) connection.end();
      server.close();
    });
    const bound = server.address();
    const port = typeof bound === 'object' && bound ? bound.port : 0;
    number += 1;
    rig.nodes.configure(
      `Host person-${number}\n  HostName 127.0.0.1\n  Port ${port}\n  HostKeyAlias person-${number}\n  StrictHostKeyChecking accept-new\n  ConnectTimeout 1\n  ${lines}`,
    );
    return `person-${number}`;
  };
  const later = <T>(value: T): Promise<T> => new Promise((resolve) => setTimeout(resolve, 1500, value));
  const byPassword = (context: AuthContext): void => {
    if (context.method === 'password' && context.password === 'right') context.accept();
    else context.reject(['password']);
  };
  const byCode = (context: AuthContext): void => {
    if (context.method !== 'keyboard-interactive') {
      context.reject(['keyboard-interactive']);
      return;
    }
    ask(context, ['Password: ', 'Code: '], (answers) => {
      if (answers.join() !== 'right,123') context.reject(['keyboard-interactive']);
      else ask(context, [], () => context.accept());
    });
  };
  const ask = (context: KeyboardAuthContext, texts: string[], then: (answers: string[]) => void): void => {
    context.prompt(
      texts.map((prompt, index) => ({ prompt, echo: index > 0 })),
      'Lab',
      'Two steps',
      then,
    );
  };

  it('waits for a password longer than the connect timeout, and asks again when it was wrong', async () => {
    const given = ['wrong', 'right'];
    const asked: string[] = [];
    const prompter = person({
      password: (user, node) => {
        asked.push(`${user} ${node}`);
        return later(typed(given.shift()));
      },
    });
    const name = await host(byPassword, 'User me');
    assert.match(await rig.whoIs(name, { prompter }), /^in/);
    assert.deepEqual(asked, [`me ${name}`, `me ${name}`]);
  });

  it('waits for the answers of keyboard-interactive, each with its question, and a round without any', async () => {
    const questions: [string, boolean][] = [];
    const prompter = person({
      answer: (_node, question, echo) => {
        questions.push([question, echo]);
        return later(question.includes('Code') ? '123' : 'right');
      },
    });
    assert.match(await rig.whoIs(await host(byCode), { prompter }), /^in/);
    assert.deepEqual(questions, [
      ['Two steps\nPassword: ', false],
      ['Two steps\nCode: ', true],
    ]);
  });

  it('ends at once, in words, when a person declines', async () => {
    let asked = 0;
    const decline = (): Promise<undefined> => {
      asked += 1;
      return Promise.resolve(undefined);
    };
    const prompter = person({ password: decline, answer: decline });
    const start = Date.now();
    await assert.rejects(rig.connect(await host(byCode), { prompter }), (error: Error) => {
      assert.match(error.message, /person-\d+ was not logged in to: "Password:" was not answered/);
      return 'transient' in error && error.transient === false;
    });
    await assert.rejects(rig.connect(await host(byPassword), { prompter }), /no password was given for/);
    assert.equal(asked, 2);
    assert.ok(Date.now() - start < 3000);
  });

  it('is refused in words after three wrong passwords, and without a person at once', async () => {
    let asked = 0;
    const prompter = person({
      password: () => {
        asked += 1;
        return Promise.resolve(typed('wrong'));
      },
    });
    const name = await host(byPassword);
    await assert.rejects(rig.connect(name, { prompter }), /refused to log in .*tried: .*password/);
    assert.equal(asked, 3);
    await assert.rejects(
      rig.connect(name),
      /refused to log in.*takes a password too, and nobody could be asked/,
    );
  });

  it('asks for no password where only keys are taken', async () => {
    const name = await host((context) => context.reject(['publickey']));
    await assert.rejects(rig.connect(name, { prompter: person() }), /refused to log in/);
  });

  it('gives a key and then a code where both are wanted', async () => {
    let keyed = false;
    const name = await host((context) => {
      if (context.method === 'publickey' && !keyed) {
        if (!context.signature) context.accept();
        else {
          keyed = true;
          context.reject(['keyboard-interactive'], true);
        }
      } else if (context.method === 'keyboard-interactive' && keyed) {
        ask(context, ['Code: '], (answers) => (answers[0] === '123' ? context.accept() : context.reject()));
      } else context.reject([keyed ? 'keyboard-interactive' : 'publickey']);
    });
    const prompter = person({ answer: () => Promise.resolve('123') });
    assert.match(await rig.whoIs(name, { prompter }), /^in/);
  });

  it('puts one question at a time, however many nodes ask', async () => {
    let open = 0;
    let most = 0;
    const prompter = person({
      password: async () => {
        open += 1;
        most = Math.max(most, open);
        await new Promise((resolve) => setTimeout(resolve, 400));
        open -= 1;
        return typed('right');
      },
    });
    const names = [
      await host(byPassword),
      await host(byPassword),
      await host(byPassword),
      await host(byPassword),
    ];
    await Promise.all(names.map((name) => rig.whoIs(name, { prompter })));
    assert.equal(most, 1);
  });

  it('says of each password whether it worked: also of one before a code, and of one that nobody answered', async () => {
    const heard: string[] = [];
    const telling = (answer: string, ...passwords: string[]) =>
      person({
        password: () => {
          const password = passwords.shift() ?? '';
          return Promise.resolve(typed(password, (worked) => heard.push(`${password} ${String(worked)}`)));
        },
        answer: () => Promise.resolve(answer),
      });
    await rig.whoIs(await host(byPassword), { prompter: telling('', 'wrong', 'right') });
    assert.deepEqual(heard.splice(0), ['wrong false', 'right true']);
    // As PAM does it: the account's password, and in the same attempt a code, which is never one to be kept.
    const byBoth = (context: AuthContext): void => {
      if (context.method !== 'keyboard-interactive') {
        context.reject(['keyboard-interactive']);
        return;
      }
      context.prompt([{ prompt: 'Password: ', echo: false }], '', '', ([password]) =>
        context.prompt([{ prompt: 'One-time password: ', echo: false }], '', '', ([code]) =>
          password === 'right' && code === '123'
            ? context.accept()
            : context.reject(['keyboard-interactive']),
        ),
      );
    };
    await rig.whoIs(await host(byBoth), { prompter: telling('123', 'wrong', 'right') });
    assert.deepEqual(heard.splice(0), ['wrong false', 'right true']);
    // The password was good, and a key is wanted besides, which there is not.
    const more = await host((context) => {
      if (context.method === 'password') context.reject(['publickey'], true);
      else context.reject(['password']);
    });
    await assert.rejects(rig.connect(more, { prompter: telling('', 'right') }), /refused to log in/);
    assert.deepEqual(heard.splice(0), ['right true']);
    const hangsUp = await host((context) => {
      if (context.method !== 'password') context.reject(['password']);
      else for (const connection of open) connection.end();
    });
    await assert.rejects(rig.connect(hangsUp, { prompter: telling('', 'unanswered') }));
    assert.deepEqual(heard.splice(0), ['unanswered false']);
    const given = new AbortController();
    const silent = await host((context) => {
      if (context.method !== 'password') context.reject(['password']);
      else given.abort();
    });
    await assert.rejects(
      SshTransport.connect(
        silent,
        { configFile: rig.nodes.configFile, prompter: telling('', 'given up') },
        given.signal,
      ),
    );
    assert.deepEqual(heard, []);
  });
});
