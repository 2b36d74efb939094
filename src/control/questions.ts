import type { Prompter } from '../transport';
import type { Answer, Question } from './protocol';

/**
 * Puts a node's questions to a person: the one whose process last asked for something, or, when nobody is there, another.
 */
export class Questions implements Prompter {
  /** Who asked last is last. */
  private people: Prompter[] = [];

  /** Returns how to take the person back. */
  add(person: Prompter): () => void {
    this.people.push(person);
    return () => (this.people = this.people.filter((other) => other !== person));
  }

  /** This person's process asks for something; connections that it makes necessary are its own. */
  turnTo(person: Prompter): void {
    if (!this.people.includes(person)) return;
    this.people = [...this.people.filter((other) => other !== person), person];
  }

  passphrase(file: string, node: string): Promise<string | undefined> {
    return this.ask((person) => person.passphrase(file, node), undefined);
  }

  password(user: string, node: string): Promise<string | undefined> {
    return this.ask((person) => person.password(user, node), undefined);
  }

  answer(node: string, question: string, echo: boolean): Promise<string | undefined> {
    return this.ask((person) => person.answer(node, question, echo), undefined);
  }

  trustHost(node: string, keyType: string, fingerprint: string): Promise<boolean> {
    return this.ask((person) => person.trustHost(node, keyType, fingerprint), false);
  }

  private async ask<T>(put: (person: Prompter) => Promise<T>, nobody: T): Promise<T> {
    for (const person of [...this.people].reverse()) {
      if (!this.people.includes(person)) continue;
      try {
        return await put(person);
      } catch {
        // That process went before it answered: somebody else may know.
      }
    }
    return nobody;
  }
}

/** A person behind a connection. */
export class RemotePerson implements Prompter {
  constructor(private readonly put: (question: Question) => Promise<Answer>) {}

  passphrase(file: string, node: string): Promise<string | undefined> {
    return this.text({ kind: 'passphrase', file, node });
  }

  password(user: string, node: string): Promise<string | undefined> {
    return this.text({ kind: 'password', user, node });
  }

  answer(node: string, question: string, echo: boolean): Promise<string | undefined> {
    return this.text({ kind: 'answer', node, question, echo });
  }

  async trustHost(node: string, keyType: string, fingerprint: string): Promise<boolean> {
    return (await this.text({ kind: 'trustHost', node, keyType, fingerprint })) !== undefined;
  }

  private async text(question: Question): Promise<string | undefined> {
    return (await this.put(question)).text ?? undefined;
  }
}

/** Puts a question that came over a connection to this process's person. */
export async function answerWith(person: Prompter, question: Question): Promise<Answer> {
  switch (question.kind) {
    case 'passphrase':
      return { text: (await person.passphrase(question.file, question.node)) ?? null };
    case 'password':
      return { text: (await person.password(question.user, question.node)) ?? null };
    case 'answer':
      return { text: (await person.answer(question.node, question.question, question.echo)) ?? null };
    case 'trustHost': {
      const trusted = await person.trustHost(question.node, question.keyType, question.fingerprint);
      return { text: trusted ? 'yes' : null };
    }
  }
}
