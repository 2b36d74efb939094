import type { Given, Prompter } from '../transport';
import type { Answer, Outcome, Question } from './protocol';

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

  isThere(): boolean {
    return this.people.length > 0;
  }

  passphrase(file: string, node: string): Promise<Given | undefined> {
    return this.ask((person) => person.passphrase(file, node), undefined);
  }

  password(user: string, node: string): Promise<Given | undefined> {
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
  private numbers = 0;

  constructor(
    private readonly put: (question: Question) => Promise<Answer>,
    private readonly tell: (outcome: Outcome) => void,
  ) {}

  passphrase(file: string, node: string): Promise<Given | undefined> {
    return this.secret({ kind: 'passphrase', file, node, number: ++this.numbers });
  }

  password(user: string, node: string): Promise<Given | undefined> {
    return this.secret({ kind: 'password', user, node, number: ++this.numbers });
  }

  answer(node: string, question: string, echo: boolean): Promise<string | undefined> {
    return this.text({ kind: 'answer', node, question, echo });
  }

  async trustHost(node: string, keyType: string, fingerprint: string): Promise<boolean> {
    return (await this.text({ kind: 'trustHost', node, keyType, fingerprint })) !== undefined;
  }

  private async secret(question: Question & { readonly number: number }): Promise<Given | undefined> {
    const text = await this.text(question);
    return text === undefined
      ? undefined
      : { text, used: (worked) => this.tell({ number: question.number, worked }) };
  }

  private async text(question: Question): Promise<string | undefined> {
    return (await this.put(question)).text ?? undefined;
  }
}

/** Puts questions that come over a connection to this process's person, and tells them what came of their answers. */
export class Answers {
  private readonly waiting = new Map<number, NonNullable<Given['used']>>();

  constructor(private readonly person: Prompter | undefined) {}

  async answer(question: Question): Promise<Answer> {
    return { text: this.person ? ((await this.ask(this.person, question)) ?? null) : null };
  }

  heard({ number, worked }: Outcome): void {
    this.waiting.get(number)?.(worked);
    this.waiting.delete(number);
  }

  private async ask(person: Prompter, question: Question): Promise<string | undefined> {
    switch (question.kind) {
      case 'passphrase':
        return this.given(question.number, await person.passphrase(question.file, question.node));
      case 'password':
        return this.given(question.number, await person.password(question.user, question.node));
      case 'answer':
        return person.answer(question.node, question.question, question.echo);
      case 'trustHost':
        return (await person.trustHost(question.node, question.keyType, question.fingerprint))
          ? 'yes'
          : undefined;
    }
  }

  private given(number: number, given: Given | undefined): string | undefined {
    if (given?.used) this.waiting.set(number, given.used);
    return given?.text;
  }
}
