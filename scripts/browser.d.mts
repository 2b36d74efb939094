export const chromiumArgs: string[];
export function findChromium(): string | undefined;
export function openInBrowser(url: string): Promise<boolean>;
