import assert from 'node:assert/strict';
import path from 'node:path';
import { passwordNode, type PasswordNode } from '../support/passwordNode';
import { haveSshd, TestNodes } from '../support/sshd';
import { story } from './story';
import { openWorkbench, type Workbench } from './workbench';

const examples = path.resolve(__dirname, '../../../examples');

describe('a person whose GPU box wants a password', function () {
  if (!haveSshd) return;
  const nodes = new TestNodes();
  let box: PasswordNode;
  let window: Workbench;

  before(async () => {
    box = await passwordNode(nodes, 'alice', 'first-password');
    nodes.configure(`Host pw-box\n  HostName ${box.address}\n  Port ${box.port}\n  User alice`);
    window = await openWorkbench({
      workspace: examples,
      theme: 'Default Light Modern',
      settings: { 'clusterQueue.ssh.configFile': nodes.configFile },
    });
  });
  story(() => window);
  after(async () => {
    await window.close();
    box.close();
    await nodes.close();
  });

  const asked = async (text: RegExp): Promise<void> => {
    await window.page.locator('.quick-input-widget').filter({ hasText: text }).waitFor();
  };
  it('types it, and is asked once whether VS Code shall keep it', async () => {
    await window.openView('Cluster Queue');
    await window.treeItem(/cluster local/).waitFor();
    await window.runCommand('Cluster Queue: Add Cluster…');
    const widget = window.page.locator('.quick-input-widget');
    await widget.locator('.monaco-list-row').filter({ hasText: 'pw-box' }).first().click();
    await widget.getByRole('button', { name: 'OK' }).click();
    await window.enter('secretive');
    await asked(/Password of alice on pw-box[^]*It is kept only if you agree when it has worked/);
    await window.screenshot('password');
    await window.enter('first-password');
    const offer = await window.notification(/Keep the password of alice on pw-box/);
    await window.treeItem(/^pw-box.*CPUs/).waitFor();
    await window.screenshot('keep-password');
    await offer.getByRole('button', { name: 'Yes' }).click();
    await offer.waitFor({ state: 'detached' });
  });

  it('is not asked again when the connection broke', async () => {
    box.disconnect();
    await box.entered(2);
    await window.treeItem(/^pw-box.*CPUs/).waitFor();
    assert.deepEqual(box.tried, ['first-password', 'first-password']);
    assert.equal(await window.page.locator('.quick-input-widget:visible').count(), 0);
    assert.equal(await window.page.locator('.notification-toast').count(), 0);
  });

  it('is asked anew when the password was changed, and may say never', async () => {
    box.password = 'second-password';
    box.disconnect();
    await asked(/The kept one was refused and is forgotten/);
    await window.screenshot('password-refused');
    await window.enter('second-password');
    const offer = await window.notification(/Keep the password of alice on pw-box/);
    await offer.getByRole('button', { name: 'Never for This Host' }).click();
    box.disconnect();
    await asked(/Password of alice on pw-box/);
    await window.enter('second-password');
    await window.treeItem(/^pw-box.*CPUs/).waitFor();
    assert.equal(await window.page.locator('.notification-toast').count(), 0);
    assert.deepEqual(box.tried.slice(2), ['first-password', 'second-password', 'second-password']);
  });

  it('has all of it forgotten by a command, and is asked again whether to keep', async () => {
    await window.runCommand('Cluster Queue: Forget Kept Passwords');
    await window.notification('No password or passphrase was kept.');
    box.disconnect();
    await asked(/Password of alice on pw-box/);
    await window.enter('second-password');
    const offer = await window.notification(/Keep the password of alice on pw-box/);
    await offer.getByRole('button', { name: 'Yes' }).click();
    await offer.waitFor({ state: 'detached' });
    await window.runCommand('Cluster Queue: Forget Kept Passwords');
    await window.notification('One kept password or passphrase is forgotten.');
    box.disconnect();
    await asked(/Password of alice on pw-box/);
  });
});
