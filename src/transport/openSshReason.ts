import { access, readFile } from 'node:fs/promises';
import type { SshOptions } from './sshOptions';

/** What a login may need that ssh2 cannot do, in words; undefined when nothing speaks for the system's ssh. */
export async function openSshReason(
  options: SshOptions,
  offered: readonly string[],
): Promise<string | undefined> {
  const { loginMethods } = options;
  if (offered.includes('gssapi-with-mic') && loginMethods.includes('gssapi-with-mic'))
    return 'GSSAPI (Kerberos)';
  if (!loginMethods.includes('publickey')) return undefined;
  if (offered.length > 0 && !offered.includes('publickey')) return undefined;
  if (options.pkcs11) return 'a PKCS#11 token';
  if (options.certificateFiles.length > 0) return 'a certificate';
  for (const file of options.identityFiles) {
    if (await exists(`${file}-cert.pub`)) return 'a certificate';
    const text = await readFile(`${file}.pub`, 'latin1').catch(() => '');
    if (/^sk-/.test(text)) return 'a hardware key';
  }
  return undefined;
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
